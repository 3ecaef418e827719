#!/bin/bash
#SBATCH --job-name=mcsm
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4      # a task for each GPU
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=SIGUSR1@180     # three minutes before the end, the run ends its step, saves and exits with 138
#SBATCH --requeue
#SBATCH --open-mode=append
# sbatch docs/slurm.sh --config configs/mcsm.yaml --config configs/on/imagenet_lt.yaml --data.root DIR

tasks_per_node=${SLURM_NTASKS_PER_NODE:-1}
srun lt fit "$@" --config configs/ddp.yaml --trainer.num_nodes "${SLURM_NNODES:-1}" --trainer.devices "$tasks_per_node"
status=$?
if [ "$status" -eq 138 ]; then
  scontrol requeue "$SLURM_JOB_ID"  # the same command goes on where the run was
fi
exit "$status"
